SELECT maxOrNull(start) AS last FROM ($slices)
