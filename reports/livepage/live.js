'use strict';
(function () {
  // The server sends the whole page once a second. Only its parts are replaced, so that the place and the focus stay.
  function show(text) {
    var next = new DOMParser().parseFromString(text, 'text/html');
    var focused = document.activeElement && document.activeElement.id;
    next.querySelectorAll('noscript').forEach(function (e) { e.remove(); });
    ['header', 'main'].forEach(function (part) {
      var fresh = next.querySelector(part);
      if (fresh) document.querySelector(part).replaceWith(fresh);
    });
    document.title = next.title;
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus({ preventScroll: true });
  }
  if (!document.querySelector('main noscript')) return; // the run has ended
  function follow() {
    var events = new EventSource('events');
    events.onmessage = function (e) { show(e.data); };
    events.addEventListener('end', function (e) { // nothing comes any more
      events.close();
      show(e.data);
    });
    events.addEventListener('report', function (e) { // the page of the run is served now
      events.close();
      location.replace('?follower=' + e.data); // for a server that waits for those that followed
    });
    events.onerror = function () {
      // A browser connects again by itself, unless the server answered with an error: it has no place.
      var refused = events.readyState === EventSource.CLOSED;
      document.getElementById('lost').hidden = refused;
      document.getElementById('full').hidden = !refused;
      if (refused) setTimeout(follow, 5000);
    };
  }
  follow();
}());
