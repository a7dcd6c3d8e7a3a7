complete --keep-order --exclusive --command gco --arguments "(COMPLETE=fish gco -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
