"""The fast path: read, decode, embed, search and write, in threads with bounded queues."""
