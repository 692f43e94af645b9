"""Reports: blocks of text, tables and charts, and the pages drawn from them."""
