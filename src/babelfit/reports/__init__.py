"""Reports: scores as text, tables, pictures and pages. Computes nothing but differences."""
