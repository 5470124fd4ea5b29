"""From numbers to tables, claims, figures and one page of everything: nothing here trains or measures."""
