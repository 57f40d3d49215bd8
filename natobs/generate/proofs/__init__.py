"""Unit tests for promtool: every alert, and the arithmetic of error budgets, against the committed rule files."""
