"""Views: values in, text out."""
