"""OpenAI's Responses API on top of chats: items, events, and the responses that are kept."""
