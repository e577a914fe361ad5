"""How the workspace reaches models: every source of answers looks the same from here."""
