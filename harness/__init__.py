"""pitmark's harness: builds, measures, stores, judges and draws the pitfalls."""
