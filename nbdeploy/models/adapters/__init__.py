"""How models of other libraries predict, what they take and how they are saved."""
