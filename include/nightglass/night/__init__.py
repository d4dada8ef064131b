"""One night: what it holds, whether its data is sound, what it means, and what people see of it."""
