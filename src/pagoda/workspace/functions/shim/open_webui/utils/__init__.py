"""As functions import them."""
