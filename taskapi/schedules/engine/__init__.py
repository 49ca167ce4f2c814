"""How a due time becomes done work: dispatch, execution, outcomes, rescue."""
