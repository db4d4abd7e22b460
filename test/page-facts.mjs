/**
 * What of a page can be measured once it is drawn. Runs in the page, so that it may use nothing from around it.
 *
 * @returns {Record<string, any>}
 */
export function pageFacts() {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const bare = (element) => !element.getAttribute('aria-label') && !element.hasAttribute('aria-hidden');
  const levels = all('h1,h2,h3').map(({ tagName }) => Number(tagName[1]));
  const light = (colour) => Math.max(...colour.match(/\d+/g).slice(0, 3).map(Number));
  return {
    title: document.title,
    width: document.documentElement.scrollWidth,
    tables: all('table').length,
    charts: all('figure svg').length,
    ids: all('[id]').map(({ id }) => id),
    undescribed: all('svg').filter(bare).length + all('img:not([alt])').length,
    headsWithoutScope: all('th:not([scope])').length + all('table:not(:has(caption))').length,
    headings: levels.filter((level, i) => level > (levels[i - 1] ?? 0) + 1).length,
    deadLinks: all('nav a').filter((a) => !document.getElementById(a.getAttribute('href').slice(1))).length,
    ground: light(getComputedStyle(document.body).backgroundColor),
    words: light(getComputedStyle(document.body).color),
    // of charts: their words follow the theme
    chartWords: light(getComputedStyle(document.querySelector('figure svg text')).fill),
    overflowing: all('main *').filter((element) => {
      if (element.closest('.scroll') || element.closest('svg')) return false;
      return element.getBoundingClientRect().right > innerWidth + 1;
    }).length,
  };
}
