"""From pictures of a board to a lens: finding the board, the fit, and the judgement of it."""
