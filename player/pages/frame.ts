/** What every page begins with; put in by the build where a page says `<!-- head -->` and `<!-- top -->`. */

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='8' fill='%23ff4d5e'/%3E%3Cpath d='M12 9v14l11-7z' fill='%23fff'/%3E%3C/svg%3E";

const HEAD = `<meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
    <meta name="theme-color" content="#0b0d12" />
    <link rel="icon" href="${ICON}" />
    <link rel="stylesheet" href="./pages/pages.css" />`;

/** Path of a page, and its word in the menu. */
const WAYS: readonly (readonly [string, string])[] = [
  ['/', 'Live'],
  ['/replays', 'Replays'],
  ['/studio', 'Studio'],
];

const linkTo = ([path, word]: readonly [string, string], isCurrent: boolean): string =>
  `<a href="${path}"${isCurrent ? ' aria-current="page"' : ''}>${word}</a>`;

/** `path`: the page's own, such as `/replays`. */
export const framePage = (html: string, path: string): string =>
  html.replace('<!-- head -->', HEAD).replace(
    '<!-- top -->',
    `<header class="top">
      <a class="brand" href="/"><span class="mark" aria-hidden="true"></span>Sluice</a>
      <nav class="ways">${WAYS.map((way) => linkTo(way, way[0] === path)).join('')}</nav>
    </header>`,
  );
