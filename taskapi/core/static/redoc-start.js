// The page's own script, in a file because the content security policy allows no inline scripts.
Redoc.init("/openapi.json", { disableSearch: false, hideDownloadButton: false }, document.getElementById("redoc"));
