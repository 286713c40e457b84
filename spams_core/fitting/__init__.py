"""Energy terms, initialisation, schedule and editing of codes."""
