"""Groups of options that several verbs have, or that make up one verb's."""
