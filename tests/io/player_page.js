// Runs the script of a player page with stand-ins for the browser, walks through it, and prints what it would draw.
"use strict";
const fs = require("fs");
const page = fs.readFileSync(process.argv[2], "utf-8");
const blocks = {};
for (const [, name, text] of page.matchAll(/<script id="(\w+)" type="[^"]*">([\s\S]*?)<\/script>/g)) blocks[name] = text;
const script = page.match(/<script>([\s\S]*?)<\/script>/)[1];

const uploads = {}, drawn = [];
let bound = null, matrix = null;
const gl = new Proxy({}, {
  get(_, name) {
    if (name === name.toUpperCase()) return name;
    return (...given) => {
      if (name === "createBuffer") return {};
      if (name === "bindBuffer") bound = given[1];
      if (name === "bufferData") bound.data = Array.from(given[1]);
      if (name === "uniformMatrix4fv") matrix = Array.from(given[2]);
      if (name === "drawElements") drawn.push(given[1]);
      if (name === "getAttribLocation") return 0;
      if (name === "getShaderParameter") return true;
      return {};
    };
  },
});
const pen = new Proxy({}, { get: () => () => {}, set: () => true });
const listeners = {};
function element(name) {
  return {
    textContent: blocks[name] || "", style: {}, value: "1", clientWidth: 800, clientHeight: 600, children: [],
    getContext: (kind) => (kind === "webgl2" ? gl : pen),
    addEventListener(event, act) { listeners[`${name}.${event}`] = act; },
    append(...given) { this.children.push(...given); },
    setPointerCapture() {},
  };
}
const elements = {}, boxes = [];
const clock = { now: 0 };
let waiting = null;
const browser = {
  document: {
    getElementById: (name) => (elements[name] ??= element(name)),
    createElement: (tag) => { const made = element(`${tag}${boxes.length}`); if (tag === "input") boxes.push(made); return made; },
  },
  window: { devicePixelRatio: 1, addEventListener(event, act) { listeners[`window.${event}`] = act; } },
  performance: { now: () => clock.now },
  requestAnimationFrame: (act) => { waiting = act; },
};
const inner = new Function(...Object.keys(browser), `${script}
  return { show, play, axes, camera, positions, normals, buffers, frameNow: () => frame };`);
const player = inner(...Object.values(browser));

const shown = [];
for (let t = 0; t < JSON.parse(blocks.facts).recording_frames.length; t++) {
  player.show(t);
  shown.push({
    positions: player.buffers.position.data, normals: player.buffers.normal.data, matrix,
    time: elements.time.textContent,
  });
}
player.show(0);
const all = drawn.at(-1);
listeners["strip.pointerdown"]({ pointerId: 1, offsetX: 799, buttons: 1 });
const scrubbed = player.frameNow();
listeners["window.keydown"]({ key: "ArrowLeft", target: {}, preventDefault() {} });
const stepped = player.frameNow();
listeners["window.keydown"]({ key: "Home", target: {}, preventDefault() {} });
player.play(true);
const played = [];
for (clock.now = 20; clock.now <= 720; clock.now += 50) { waiting(clock.now); played.push(player.frameNow()); }
const before = { ...player.camera };
listeners["view.pointermove"]({ buttons: 1, movementX: 10, movementY: 5 });
const turned = player.camera.yaw !== before.yaw && player.camera.pitch !== before.pitch;
boxes[0].checked = false;
const name = Object.keys(listeners).find((key) => key.startsWith("input") && key.endsWith(".change"));
listeners[name]();
console.log(JSON.stringify({ shown, all, fewer: drawn.at(-1), scrubbed, stepped, played, turned }));
