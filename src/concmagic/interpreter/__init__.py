"""What is borrowed from the interpreter beyond its documented interface, and what is asked of its build."""
