/** The page's HTML: all else it loads from the same server. */
import { html } from '../report/html.js';

/** What pages of the studio may load and do: nothing of any other server. Charts set colours and places as styles. */
export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Of a report that is shown: it has no script and loads nothing. */
export const REPORT_POLICY =
  "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation";

export interface ShellFacts {
  readonly folder: string;
  readonly version: string;
  /** Address of the queue that may be looked at; empty without one. */
  readonly queue: string;
}

export const shell = ({ folder, version, queue }: ShellFacts): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="idat-folder" content="${folder}">
<meta name="idat-version" content="${version}">
<meta name="idat-queue" content="${queue}">
<title>idat studio</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="studio.css">
<script type="module" src="studio.js"></script>
</head>
<body><div id="studio"></div><noscript>The studio is a page with a script; this browser runs none.</noscript></body>
</html>
`.text;
