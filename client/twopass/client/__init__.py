"""The client: `Client`, and `AsyncClient` for asyncio."""
