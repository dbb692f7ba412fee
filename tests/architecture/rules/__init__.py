"""House rules as functions from parsed sources to findings; nothing here runs project code."""
