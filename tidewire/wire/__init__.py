"""What clients can see: entity shapes, event names, error ids, close codes. No I/O."""
