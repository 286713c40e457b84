"""The networks and their latent codes."""
