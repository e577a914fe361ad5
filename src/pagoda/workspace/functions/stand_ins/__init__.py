"""Small stand-ins for libraries that functions import; an installed library goes before them."""
