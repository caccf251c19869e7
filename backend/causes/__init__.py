"""Why a server or a job died: what of its log counts (evidence), what is known to kill (signatures), and the "
"verdict."""
