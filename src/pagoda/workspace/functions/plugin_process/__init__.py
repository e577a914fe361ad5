"""The process in which plugin functions run. It imports nothing of the server but the messages."""
