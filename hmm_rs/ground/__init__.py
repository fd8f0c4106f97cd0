"""What every room stands on: checks of arguments, errors, descriptions, the result schema."""
