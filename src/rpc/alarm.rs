//! Alarms, to and from the wire.

use super::etcdserverpb::alarm_request::AlarmAction;
use super::etcdserverpb::{AlarmMember, AlarmRequest, AlarmResponse, AlarmType};
use crate::model::{Alarm, AlarmKind, Body, Request};

impl From<AlarmKind> for AlarmType {
    fn from(kind: AlarmKind) -> AlarmType {
        match kind {
            AlarmKind::NoSpace => AlarmType::Nospace,
            AlarmKind::Corrupt => AlarmType::Corrupt,
        }
    }
}

impl From<Alarm> for AlarmMember {
    fn from(alarm: Alarm) -> AlarmMember {
        AlarmMember { member_id: alarm.member, alarm: AlarmType::from(alarm.kind).into() }
    }
}

/// The kind on the wire; none if it stands for none, or for all, or is not known.
pub fn alarm_kind(wire: i32) -> Option<AlarmKind> {
    match AlarmType::try_from(wire) {
        Ok(AlarmType::Nospace) => Some(AlarmKind::NoSpace),
        Ok(AlarmType::Corrupt) => Some(AlarmKind::Corrupt),
        Ok(AlarmType::None) | Err(_) => None,
    }
}

/// `request` on the wire, if it is about alarms.
pub fn alarm_request(request: &Request) -> Option<AlarmRequest> {
    let asked = |action: AlarmAction, alarm: AlarmMember| AlarmRequest {
        action: action.into(),
        member_id: alarm.member_id,
        alarm: alarm.alarm,
    };
    match *request {
        Request::AlarmActivate(alarm) => Some(asked(AlarmAction::Activate, alarm.into())),
        Request::AlarmDeactivate(alarm) => Some(asked(AlarmAction::Deactivate, alarm.into())),
        Request::Alarms => Some(AlarmRequest::default()),
        _ => None,
    }
}

impl From<AlarmResponse> for Body {
    fn from(wire: AlarmResponse) -> Body {
        let known = |one: AlarmMember| {
            alarm_kind(one.alarm).map(|kind| Alarm { kind, member: one.member_id })
        };
        let mut alarms: Vec<Alarm> = wire.alarms.into_iter().filter_map(known).collect();
        alarms.sort_unstable();
        Body::Alarms(alarms)
    }
}

/// An alarm as etcd's servers write it where errors are listed: the text form of its message, blank at the end and all.
pub fn alarm_text(alarm: Alarm) -> String {
    let kind = AlarmType::from(alarm.kind).as_str_name();
    match alarm.member {
        0 => format!("alarm:{kind} "),
        member => format!("memberID:{member} alarm:{kind} "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_survive_the_wire() {
        let alarms: Vec<Alarm> =
            AlarmKind::ALL.into_iter().map(|kind| Alarm { kind, member: u64::MAX }).collect();
        let wire = alarms.iter().map(|alarm| (*alarm).into()).collect();
        let answer = AlarmResponse { header: None, alarms: wire };
        assert_eq!(Body::from(answer), Body::Alarms(alarms));
    }

    #[test]
    fn kinds_have_etcds_names_and_numbers() {
        for (kind, number, name) in
            [(AlarmKind::NoSpace, 1, "NOSPACE"), (AlarmKind::Corrupt, 2, "CORRUPT")]
        {
            assert_eq!((i32::from(kind.number()), alarm_kind(number)), (number, Some(kind)));
            let alarm = Alarm { kind, member: 13_803_658_152_347_727_308 };
            let text = format!("memberID:13803658152347727308 alarm:{name} ");
            assert_eq!(alarm_text(alarm), text);
        }
        assert_eq!(alarm_text(Alarm { kind: AlarmKind::NoSpace, member: 0 }), "alarm:NOSPACE ");
        assert_eq!((alarm_kind(0), alarm_kind(7)), (None, None));
    }
}
