/** The colours of classes: page.css has them, for light and dark. */
const COUNT = 7;

export const colourOf = (index: number): string => `var(--class-${index % COUNT})`;
