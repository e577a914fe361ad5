"""Answers in the making: they go on whoever watches, and everybody who comes back sees all of them."""
