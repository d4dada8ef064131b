"""Benchmarks of nightglass, each one command; docs/performance.md says what they measure and how."""
