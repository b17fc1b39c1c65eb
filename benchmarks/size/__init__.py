"""What a large collection costs: memory, disk, ingest, search, start-up. Run it as a module."""
