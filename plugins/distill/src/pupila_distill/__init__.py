"""Knowledge distillation into small students."""
