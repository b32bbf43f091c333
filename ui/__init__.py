"""Everything that a person touches: command line, terminal, report page."""
