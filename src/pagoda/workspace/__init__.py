"""The workspace: accounts, chats, connections, plugin functions, and their administration.

It reaches models through providers alone and imports neither the engine nor the API.
"""
