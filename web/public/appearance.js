// Runs before the first paint so that a chosen theme never flashes the other one.
// Kept out of the page and out of the bundle: the security policy allows no inline script.
(function () {
  try {
    var preferences = JSON.parse(localStorage.getItem('pagoda.preferences') || '{}');
    if (preferences.theme === 'light' || preferences.theme === 'dark') {
      document.documentElement.dataset.theme = preferences.theme;
    }
  } catch (error) {
    console.info('Pagoda: this browser keeps no preferences.', error.name);
  }
})();
