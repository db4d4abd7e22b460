/** Keeps the page for use without a network, by its service worker. */

export function beReadyOffline(): void {
  if (!('serviceWorker' in navigator) || !isSecureContext) return;
  // after the page is drawn: what it keeps is not what is waited for
  const register = () => void navigator.serviceWorker.register(new URL('sw.js', document.baseURI)).catch(() => {});
  if (document.readyState === 'complete') register();
  else addEventListener('load', register, { once: true });
}
