//! Which connection goes for a new one, without waiting: those here are older than the test.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const AGE: Duration = Duration::from_secs(1000);

/// A place of a connection that was opened long ago.
fn old(connections: &Arc<Connections>) -> Place {
    let mut place = connections.admit().unwrap();
    let begin = Instant::now().checked_sub(AGE).unwrap();
    place.activity = Arc::new(Activity::new(begin));
    let mut table = connections.lock();
    table.open.insert(place.number, place.activity.clone());
    drop(table);
    place
}

/// A request whose last change was long ago.
fn request(place: &Place, phase: Phase) -> InFlight {
    let mut flight = place.activity.request();
    match phase {
        Phase::Sending => flight.send(0),
        _ => flight.enter(phase),
    }
    place.activity.since.store(0, Ordering::Relaxed);
    flight
}

/// The answer is due in so many seconds.
fn due(place: &Place, flight: &mut InFlight, seconds: i64) {
    let until = (place.activity.now() as i64 + 1000 * seconds) as u64;
    let sent = flight.send_until.replace(until).unwrap();
    let mut sending = place.activity.sending();
    let index = sending.iter().position(|other| *other == sent).unwrap();
    sending[index] = until;
}

fn poll(future: impl Future<Output = ()>) -> Poll<()> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn goes(place: &Place) -> bool {
    poll(place.activity.evicted()).is_ready()
}

/// What is remembered of a search in vain must not decide.
fn admit(connections: &Arc<Connections>) -> Option<Place> {
    connections.lock().in_vain = None;
    connections.admit()
}

#[test]
fn idle_ones_go_first_then_bodies_then_slow_takers_and_never_work() {
    let connections = Connections::new(5);
    let [idle, body, taker, worker, fresh] = std::array::from_fn(|_| old(&connections));
    let _body = request(&body, Phase::Receiving);
    let mut answer = request(&taker, Phase::Sending);
    due(&taker, &mut answer, 30);
    let _work = request(&worker, Phase::Working);
    let _new = fresh.activity.request();
    let mut others = Vec::new();
    for next in [&idle, &body, &taker] {
        assert!(!goes(next));
        others.push(admit(&connections).unwrap());
        assert!(goes(next));
    }
    assert!(admit(&connections).is_none());
    assert!(!goes(&worker) && !goes(&fresh));
}

#[test]
fn a_client_that_takes_its_answer_is_spared() {
    let connections = Connections::new(1);
    let place = old(&connections);
    let mut answer = request(&place, Phase::Sending);
    due(&place, &mut answer, 55);
    assert!(admit(&connections).is_none());
    due(&place, &mut answer, 45);
    assert!(admit(&connections).is_some());
}

#[test]
fn work_on_one_of_its_requests_spares_a_connection() {
    let connections = Connections::new(1);
    let place = old(&connections);
    let mut answer = request(&place, Phase::Sending);
    due(&place, &mut answer, -1);
    let _work = request(&place, Phase::Working);
    assert!(admit(&connections).is_none());
}

#[test]
fn who_has_just_come_is_spared() {
    let connections = Connections::new(1);
    let _place = connections.admit().unwrap();
    assert!(admit(&connections).is_none());
}

/// An HTTP/2 client that takes some answers keeps others no longer.
#[test]
fn each_answer_has_its_own_time() {
    let connections = Connections::new(1);
    let place = old(&connections);
    let mut kept = request(&place, Phase::Sending);
    due(&place, &mut kept, -1);
    let taken = request(&place, Phase::Sending);
    assert!(place.activity.sends_too_long());
    drop(taken);
    assert!(place.activity.sends_too_long());
    drop(kept);
    assert!(!place.activity.sends_too_long());
    assert!(place.activity.is_idle());
}

#[test]
fn a_large_answer_has_more_time() {
    let connections = Connections::new(1);
    let place = old(&connections);
    let mut flight = place.activity.request();
    flight.send(100 * SEND_RATE);
    let time = SEND_TIME + Duration::from_secs(100);
    assert!(
        !place
            .activity
            .sends_longer_than(time - Duration::from_secs(30))
    );
    assert!(
        place
            .activity
            .sends_longer_than(time + Duration::from_secs(30))
    );
}

/// The server must not end while one of them still has a request.
#[test]
fn those_that_were_told_to_go_count_until_they_have_gone() {
    let connections = Connections::new(1);
    let told = old(&connections);
    drop(admit(&connections).unwrap());
    assert!(goes(&told));
    assert!(poll(connections.all_ended()).is_pending());
    drop(told);
    assert!(poll(connections.all_ended()).is_ready());
}

/// A vanished client leaves no count behind, in whichever phase.
#[test]
fn counts_are_right_however_a_request_ends() {
    let connections = Connections::new(1);
    let place = old(&connections);
    for phase in [Phase::Receiving, Phase::Working, Phase::Sending] {
        let flight = request(&place, phase);
        assert_eq!(place.activity.requests(phase), 1);
        drop(flight);
        assert!(place.activity.is_idle());
        assert!(place.activity.sending().is_empty());
    }
}
