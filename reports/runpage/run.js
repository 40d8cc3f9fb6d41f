'use strict';
(function () {
  function make(name, parent, text) {
    var e = document.createElement(name);
    if (text) e.textContent = text;
    parent.appendChild(e);
    return e;
  }
  function button(parent, text, label, act) {
    var b = make('button', parent, text);
    b.type = 'button';
    b.title = label;
    b.setAttribute('aria-label', label);
    b.addEventListener('click', act);
    return b;
  }
  function choices(parent, title, names, changed) {
    var off = new Set(), set = make('fieldset', parent);
    make('legend', set, title);
    names.forEach(function (name, i) {
      var label = make('label', set), box = make('input', label);
      box.type = 'checkbox';
      box.checked = true;
      label.append(' ' + name);
      box.addEventListener('change', function () {
        if (box.checked) off.delete(String(i)); else off.add(String(i));
        changed();
      });
    });
    return off;
  }
  document.querySelectorAll('.diagram').forEach(function (diagram) {
    var svg = diagram.querySelector('svg'), pane = diagram.querySelector('.scroll');
    var lanes = diagram.querySelectorAll('.lane'), events = diagram.querySelectorAll('[data-k]');
    var kinds = [], scale = 1, width = svg.viewBox.baseVal.width, height = svg.viewBox.baseVal.height;
    events.forEach(function (e) {
      if (!kinds.includes(e.dataset.k)) kinds.push(e.dataset.k);
    });
    var tools = document.createElement('div');
    tools.className = 'tools';
    tools.setAttribute('role', 'group');
    tools.setAttribute('aria-label', 'View of the diagram');
    diagram.insertBefore(tools, pane);
    function zoom(to) {
      var before = scale;
      scale = Math.min(8, Math.max(0.1, to));
      svg.setAttribute('width', width * scale);
      svg.setAttribute('height', height * scale);
      pane.scrollTop *= scale / before;
      pane.scrollLeft *= scale / before;
    }
    // On a narrow screen all lanes are to be seen, unless that would make the texts too small.
    var last = lanes.length && lanes[lanes.length - 1].querySelector('.node');
    var lanesWidth = last ? Number(last.getAttribute('x')) + 30 : 0;
    var fitted = 1; // the scale until the reader changes it
    function fitLanes() {
      if (scale !== fitted || pane.clientWidth === 0 || lanesWidth === 0) return;
      fitted = Math.min(1, Math.max(0.6, pane.clientWidth / lanesWidth));
      zoom(fitted);
    }
    new ResizeObserver(fitLanes).observe(pane);
    function whole() { zoom(Math.min(pane.clientWidth / width, pane.clientHeight / height)); }
    button(tools, '+', 'Zoom in (+, or Ctrl and wheel)', function () { zoom(scale * 1.25); });
    button(tools, '\u2212', 'Zoom out (-)', function () { zoom(scale / 1.25); });
    button(tools, '1:1', 'Original size, 1:1 (0)', function () { zoom(1); });
    button(tools, 'whole', 'Fit the whole diagram (w)', whole);
    pane.addEventListener('wheel', function (e) {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      zoom(scale * (e.deltaY < 0 ? 1.1 : 1 / 1.1));
    }, { passive: false });
    pane.addEventListener('keydown', function (e) {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.key === '+' || e.key === '=') zoom(scale * 1.25);
      if (e.key === '-') zoom(scale / 1.25);
      if (e.key === '0') zoom(1);
      if (e.key === 'w') whole();
    });
    var offNodes, offKinds;
    function filter() {
      lanes.forEach(function (l) { l.classList.toggle('faint', offNodes.has(l.dataset.n)); });
      events.forEach(function (e) {
        var nodes = e.dataset.n ? e.dataset.n.split(' ') : [];
        var hide = offKinds.has(String(kinds.indexOf(e.dataset.k))) ||
          nodes.some(function (n) { return offNodes.has(n); });
        e.classList.toggle('off', hide);
      });
    }
    offNodes = choices(tools, 'nodes', Array.from(lanes, function (l) { return l.dataset.name; }), filter);
    offKinds = choices(tools, 'kinds', kinds, filter);
  });
  var failures = Array.from(document.querySelectorAll('.failure[id]')), current = -1;
  function go(step) {
    current = (current + step + failures.length) % failures.length;
    failures[current].scrollIntoView();
    failures[current].focus({ preventScroll: true });
  }
  if (failures.length > 0) {
    var next = make('div', document.body);
    next.className = 'next';
    if (failures.length > 1) {
      button(next, '\u2191', 'Previous failure (p)', function () { go(current < 0 ? 0 : -1); });
    }
    button(next, '\u2193 next failure', 'Next failure (n)', function () { go(1); });
    document.addEventListener('keydown', function (e) {
      if (e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === 'INPUT') return;
      if (e.key === 'n') go(1);
      if (e.key === 'p') go(current < 0 ? 0 : -1);
    });
  }
  function open() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var e = target; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true;
  }
  window.addEventListener('hashchange', open);
  open();
}());
