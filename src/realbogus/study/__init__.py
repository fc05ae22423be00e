"""The whole study of the paper: data, screening, thirteen networks, bagging, tables, figures, one report."""
