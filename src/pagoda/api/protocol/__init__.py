"""Requests and responses of the API as types: what is validated, documented in /openapi.json and sent."""
