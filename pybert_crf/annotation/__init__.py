"""What taggers do between text and tags, without torch: units, windows, entities, rules, renderings."""
