"""How a test lets a task's process die without dying itself."""


class Killed(BaseException):
    """Stands for a task's process that dies: nothing in the product may catch it."""
