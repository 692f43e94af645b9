"""Tables and folders of files, as rows."""
