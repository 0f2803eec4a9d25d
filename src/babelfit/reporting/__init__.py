"""Reports: scores as text, in the terminal, as Markdown and on a model's card. As a page: page/."""
