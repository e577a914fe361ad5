"""What is set about models: names, visibility, parameters; and presets made from them."""
