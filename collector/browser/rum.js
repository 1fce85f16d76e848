/*
 * Candor in a web page: web vitals, uncaught errors and journey steps.
 *
 *   <script src="https://candor.example/rum.js" data-key="candor_..." defer></script>
 *
 *   candor.step("checkout.payment", {journey: "checkout", instance: "c-1", step: "payment"});
 *   candor.consent(true);     // the visitor agrees; candor.consent(false) takes it back
 *
 * data-consent="required"   nothing is observed, kept or sent before candor.consent(true)
 * data-consent="granted"    the page knows that the visitor has agreed
 * without it                the key decides: Candor is asked once
 * data-page="/users/:name"  the name of the page, where its path says too much
 *
 * No cookie, no storage, no identifier that outlives the page. Under Global Privacy Control nothing
 * is sent where consent is required, and elsewhere a step loses its subject and its instance.
 *
 * Calls made before this file has loaded wait in an array of the same name:
 *   window.candor = window.candor || []; candor.push(["step", "checkout.start", {}]);
 */
(() => {
  "use strict";

  const script = document.currentScript;
  const key = script && script.dataset.key;
  if (!key || !window.PerformanceObserver) return;

  const MOST_BYTES = 60000;
  const MOST_ERRORS = 20;
  const BATCH_MS = 1000;
  const endpoint = new URL("v1/rum?key=" + encodeURIComponent(key), script.src).href;
  const gpc = navigator.globalPrivacyControl === true;
  const isHidden = () => document.visibilityState === "hidden";
  const now = () => new Date().toISOString();
  const page = () => script.dataset.page || location.pathname;
  const newId = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
      byte.toString(16).padStart(2, "0")
    ).join("");

  // ---- consent: `required` is undefined until the key has answered, `given` until the visitor has

  let required = { required: true, granted: true }[script.dataset.consent];
  let given = script.dataset.consent === "granted" ? true : undefined;
  let undecided = [];

  const mayObserve = () => given !== false && (required === false || (given === true && !gpc));

  const whenAllowed = (act) => {
    if (required === undefined && given === undefined) undecided.push(act);
    else if (mayObserve()) act();
  };

  const decide = () => {
    const acts = undecided;
    undecided = [];
    if (mayObserve()) {
      observe();
      acts.forEach((act) => act());
    } else {
      forget();
    }
  };

  const askKey = () =>
    fetch(endpoint, { credentials: "omit" })
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
      .then((terms) => terms.requires_consent !== false)
      .catch(() => true) // who cannot be asked has not allowed it
      .then((answer) => {
        required = answer;
        decide();
      });

  // ---- sending ----------------------------------------------------------------------------------

  let queue = [];
  let timer = 0;

  const send = (beacons) => {
    const body = JSON.stringify(beacons);
    if (beacons.length > 1 && new Blob([body]).size > MOST_BYTES) {
      const middle = beacons.length >> 1;
      send(beacons.slice(0, middle));
      send(beacons.slice(middle));
      return;
    }
    if (navigator.sendBeacon && navigator.sendBeacon(endpoint, body)) return;
    // Whether this arrives or not, the page goes on: being measured must never be felt.
    fetch(endpoint, { method: "POST", body, keepalive: true, credentials: "omit" }).catch(() => {});
  };

  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    const beacons = queue;
    queue = [];
    if (beacons.length) send(beacons);
  };

  const enqueue = (beacon) => {
    queue.push(given ? Object.assign(beacon, { consent: true }) : beacon);
  };

  const enqueueSoon = (beacon) => {
    enqueue(beacon);
    if (isHidden()) flush();
    else if (!timer) timer = setTimeout(flush, BATCH_MS);
  };

  // ---- vitals: the browser keeps the past, so that observing may start late ---------------------

  let vitals = null;
  let observers = [];
  let firstHidden = isHidden() && !document.prerendering ? 0 : Infinity;

  const navigation = () => performance.getEntriesByType("navigation")[0];
  const activation = () => (navigation() && navigation().activationStart) || 0;
  const sinceActivation = (time) => Math.max(time - activation(), 0);

  const navigationType = () => {
    if (document.wasDiscarded) return "restore";
    if (activation() > 0) return "prerender";
    return navigation() && navigation().type.replace(/_/g, "-");
  };

  const device = () => {
    if (!matchMedia("(pointer: coarse)").matches) return "desktop";
    return Math.min(screen.width, screen.height) >= 600 ? "tablet" : "mobile";
  };

  const begin = (type, values) => {
    const vital = (name) => ({ name, id: newId(), value: values[name], reported: undefined });
    vitals = { type, page: page(), session: null, longest: [], seen: 0, settled: false };
    vitals.before = performance.interactionCount || 0;
    vitals.all = ["TTFB", "FCP", "LCP", "CLS", "INP"].map((name) => (vitals[name] = vital(name)));
  };

  const report = (vital) => {
    const { name, id, value, reported } = vital;
    if (value === undefined || value === reported) return;
    vital.reported = value;
    enqueue({
      type: "vital", name, id, value, delta: value - (reported || 0), time: now(),
      navigationType: vitals.type, page: vitals.page, device: device(),
    });
  };

  // CLS: the largest session; one ends after a second of rest, and after five seconds at most.
  const takeShift = (entry) => {
    if (entry.hadRecentInput) return;
    let session = vitals.session;
    const at = entry.startTime;
    if (!session || at - session.last >= 1000 || at - session.first >= 5000) {
      session = vitals.session = { sum: 0, first: at, last: at };
    }
    session.sum += entry.value;
    session.last = at;
    vitals.CLS.value = Math.max(vitals.CLS.value || 0, session.sum);
  };

  // INP: the longest interaction, leaving out one for every fifty.
  const takeInteraction = (entry) => {
    if (!entry.interactionId) return;
    const longest = vitals.longest;
    const known = longest.find((one) => one.id === entry.interactionId);
    if (known) {
      known.duration = Math.max(known.duration, entry.duration);
    } else {
      longest.push({ id: entry.interactionId, duration: entry.duration });
      vitals.seen += 1;
    }
    longest.sort((one, other) => other.duration - one.duration).splice(10);
    const count = Math.max(vitals.seen, (performance.interactionCount || 0) - vitals.before);
    vitals.INP.value = longest[Math.min(longest.length - 1, Math.floor(count / 50))].duration;
  };

  // What is painted after the page was hidden says nothing about what the visitor waited for.
  const takePaint = (entry) => {
    if (entry.name === "first-contentful-paint" && entry.startTime < firstHidden) {
      vitals.FCP.value = sinceActivation(entry.startTime);
    }
  };

  const takeLargestPaint = (entry) => {
    if (!vitals.settled && entry.startTime < firstHidden) {
      vitals.LCP.value = sinceActivation(entry.startTime);
    }
  };

  const watch = (type, take, options) => {
    if (!(PerformanceObserver.supportedEntryTypes || []).includes(type)) return;
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(take));
    observer.observe(Object.assign({ type, buffered: true }, options));
    observers.push({
      drain: () => observer.takeRecords().forEach(take),
      end: () => observer.disconnect(),
    });
    if (type === "layout-shift") vitals.CLS.value = 0;
  };

  const drain = () => observers.forEach((observer) => observer.drain());

  const measure = () => {
    const entry = navigation();
    const started = entry && entry.responseStart > 0;
    begin(navigationType(), { TTFB: started ? sinceActivation(entry.responseStart) : undefined });
    vitals.before = 0;
    watch("paint", takePaint);
    watch("largest-contentful-paint", takeLargestPaint);
    watch("layout-shift", takeShift);
    watch("event", takeInteraction, { durationThreshold: 40 });
    watch("first-input", takeInteraction);
  };

  const measureRestored = (event) => {
    if (!event.persisted || !vitals) return;
    firstHidden = Infinity;
    begin("back-forward-cache", { TTFB: 0, CLS: 0 });
    vitals.settled = true;
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        if (vitals) vitals.FCP.value = vitals.LCP.value = performance.now() - event.timeStamp;
      })
    );
  };

  // The browser stops looking for a larger paint once the visitor acts.
  const settle = () => {
    if (!vitals || vitals.settled) return;
    drain();
    vitals.settled = true;
  };

  const leave = () => {
    if (vitals) {
      settle();
      drain();
      if (vitals.FCP.value !== undefined) vitals.all.forEach(report);
    }
    flush();
  };

  // ---- errors and steps -------------------------------------------------------------------------

  let errors = 0;

  const reportError = (error, place) => {
    if ((errors += 1) > MOST_ERRORS) return;
    const beacon = {
      type: "error", id: newId(), time: now(), page: page(),
      name: (error && error.name) || "Error",
      message: String((error && error.message) || place.message || "").slice(0, 1000),
      source: (place.filename || "").split(/[?#]/)[0] || undefined,
      line: place.lineno || undefined,
      column: place.colno || undefined,
    };
    whenAllowed(() => enqueueSoon(beacon));
  };

  const api = {
    step(name, fields) {
      const step = Object.assign({ id: newId(), time: now(), channel: "web" }, fields);
      if (gpc) delete step.subject, delete step.instance;
      whenAllowed(() => enqueueSoon(Object.assign(step, { type: "step", name })));
    },
    consent(agreed) {
      given = agreed === true;
      decide();
    },
  };

  // ---- start ------------------------------------------------------------------------------------

  function observe() {
    if (vitals) return;
    if (!document.prerendering) measure();
    else document.addEventListener("prerenderingchange", observe, { once: true });
  }

  function forget() {
    observers.forEach((observer) => observer.end());
    observers = [];
    queue = [];
    vitals = null;
  }

  addEventListener("error", (event) => reportError(event.error, event));
  addEventListener("unhandledrejection", (event) => reportError(event.reason, {}));
  for (const input of ["keydown", "click"]) addEventListener(input, settle, { capture: true });
  addEventListener("pageshow", measureRestored, true);
  addEventListener("pagehide", leave, true);
  addEventListener("visibilitychange", () => {
    if (!isHidden()) return;
    firstHidden = Math.min(firstHidden, performance.now());
    leave();
  }, true);

  const early = Array.isArray(window.candor) ? window.candor : [];
  window.candor = api;
  early.forEach(([verb, ...values]) => api[verb] && api[verb](...values));
  if (required === undefined) askKey();
  else decide();
})();
